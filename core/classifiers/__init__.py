"""Image classifiers: what they are, how they are trained, and what is asked of them."""
