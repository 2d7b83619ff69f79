"""Datasets: from files to structures to tensors."""
