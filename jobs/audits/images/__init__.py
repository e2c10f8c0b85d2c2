"""The images of every group, materialised once."""
