"""Videos, folders of pictures and webcams in; overlays and videos out."""
