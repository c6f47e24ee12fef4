"""What travels between client and server: one definition for both, and so for the document.

Requests refuse what they don't know. Answers may gain fields, which older
clients pass over.
"""
