"""A course's exercises: the chapters with tasks, and what their check cells ask.

Start with `tasks`, which writes them; `checks` says what is wrong with a student's answer. Imports
the root rooms and, for what a network answers, `mien.network`.
"""
