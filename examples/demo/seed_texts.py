"""Who there is in the demo, and what they have written."""

from __future__ import annotations

MODERATOR_ROLE = "moderator"

SIGN_INS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("administers accounts", ("admin",)),
    "mira": ("moderates posts", (MODERATOR_ROLE,)),
    "jonas": ("writes", ()),
}
"""Username to what to say of the account, and its roles."""

PEOPLE: list[tuple[str, str, str]] = [
    ("admin", "Ada Holm", "Keeps the lights on."),
    ("mira", "Mira Okafor", "Reads everything twice. Gardener of this place."),
    ("jonas", "Jonas Weil", "Writes about walks, bread and the weather."),
    ("inès", "Inès Caron", "Collects words that have no twin in another language."),
    ("tomasz", "Tomasz Lis", "Repairs clocks; forgets appointments."),
    ("yuki", "Yuki Arai", ""),
    ("amara", "Amara Diallo", ""),
    ("lars", "Lars Nyberg", ""),
    ("priya", "Priya Raman", ""),
    ("oskar", "Oskar Brandt", ""),
    ("leila", "Leila Haddad", ""),
    ("dario", "Dario Conti", ""),
    ("sofia", "Sofia Marques", ""),
    ("ewan", "Ewan Fraser", ""),
    ("noor", "Noor Aziz", ""),
    ("kasper", "Kasper Holt", ""),
    ("zofia", "Zofia Wrona", ""),
    ("malik", "Malik Osei", ""),
    ("elena", "Elena Petrova", ""),
    ("ruben", "Ruben Aalto", ""),
    ("hana", "Hana Novak", ""),
    ("felix", "Felix Stern", ""),
    ("chiara", "Chiara Vitale", ""),
    ("anders", "Anders Friis", ""),
]
"""Username, display name, a few words. Those who are not in `SIGN_INS` have no password and cannot sign in."""

POSTS: list[tuple[str, str, str]] = [
    (
        "admin",
        "Welcome to Commonplace",
        "In the seventeenth century people kept commonplace books: notebooks for whatever was worth keeping. A recipe "
        "beside a proof, a line of verse beside the price of candles.\n\n"
        "This is one that we keep together. Register, sign in, and add a page of your own.",
    ),
    (
        "yuki",
        "Three ways to be wrong about rice",
        "Too much water, too little patience, or lifting the lid to look.\n\nI have been wrong in all three ways this week.",
    ),
    (
        "tomasz",
        "What a clock is worth",
        "A man brought me his grandfather's clock and asked what it was worth. I said: to sell, very little. He looked so "
        "relieved that I did not charge him for the spring.",
    ),
    (
        "inès",
        "Words without a twin",
        "Dépaysement: what you feel when the bread is different.\n\n"
        "Feierabend: the evening, but only the part of it that belongs to you.\n\n"
        "Tsundoku: the books beside the bed. You know the ones.",
    ),
    (
        "mira",
        "How we look after this place",
        "Disagree with what was written, not with whoever wrote it. If something should not be here, tell me, and I will "
        "read it twice before I do anything.",
    ),
    (
        "jonas",
        "Walking the same path every day",
        "For a year I have walked the same three kilometres before breakfast. People ask whether that is not dull.\n\n"
        "The first month it was. In the second I began to see that the path is never the one of yesterday: the ditch "
        "fills, the heron moves its post, somebody mends a fence. By winter I knew which dog belonged to which gate.\n\n"
        "You do not need a new place. You need to go to the old one often enough.",
    ),
]
"""Author, title, text; oldest first."""
