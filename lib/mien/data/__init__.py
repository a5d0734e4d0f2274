"""What is read from disk: FER2013, FER+, one person's images, Action Units, labels and ratings.

Every irregularity is noted with file and reason; nothing is dropped without a word. Start with
`person` (one person's folder) or `fer2013` (the crowd). Imports the root rooms only.
"""
