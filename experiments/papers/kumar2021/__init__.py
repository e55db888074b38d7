"""Center smoothing (Kumar and Goldstein 2021): its figures beside what the paper prints."""
