"""What networks see and say: encoding and decoding side by side."""
