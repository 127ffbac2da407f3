"""Out to a survey platform and back"""
