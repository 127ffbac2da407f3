"""Does the article hold?"""
