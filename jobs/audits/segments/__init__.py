"""What does it leave out of its images?"""
