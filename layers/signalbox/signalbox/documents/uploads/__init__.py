"""Uploads: many parts side by side, by URLs that this program signs, to keys that it makes."""
