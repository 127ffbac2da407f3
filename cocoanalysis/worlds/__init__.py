"""What would we see if …?"""
