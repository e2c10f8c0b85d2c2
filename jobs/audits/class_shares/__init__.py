"""Does the generator give each class its share? Seen through an annotator."""
