"""Finished runs side by side: each metric of each generator, and paired differences."""
