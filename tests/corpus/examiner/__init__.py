"""Runs the scenarios of the corpus in real pytest processes and compares what is reported with what they promise."""
