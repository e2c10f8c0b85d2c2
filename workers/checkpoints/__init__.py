"""Published checkpoints: read without running anything in them, recognised, translated."""
