"""Pages: words and pictures of answers; nothing here computes."""
