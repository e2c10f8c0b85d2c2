"""Can it tell outliers?"""
