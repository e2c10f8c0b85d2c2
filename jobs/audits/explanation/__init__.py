"""Why is this density what it is?"""
