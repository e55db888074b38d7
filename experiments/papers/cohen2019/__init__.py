"""Randomized smoothing (Cohen, Rosenfeld and Kolter 2019): its tables and figures beside what the paper prints."""
