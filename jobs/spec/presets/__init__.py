"""The shipped audit and training specs."""
