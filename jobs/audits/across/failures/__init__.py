"""What failed, by table."""
