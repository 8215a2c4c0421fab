"""Paths whose instructions are counted: core.c for the core, paths.py for a program's view."""
