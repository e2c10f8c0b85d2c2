"""Image sets: each module opens one kind of source as float images in [0, 1]."""
