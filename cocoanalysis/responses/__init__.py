"""Who answered, and how carefully?"""
