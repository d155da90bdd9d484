"""Annotations: labels, notes and a review status that data scientists put on stored dialogs and messages."""
