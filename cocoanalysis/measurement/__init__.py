"""Are the scales any good?"""
