"""This library and others side by side: the same questions, asked of running servers over HTTP.

    python -m comparison            ask all that are installed, print the tables
    python -m comparison --write    put them into docs/explanation/comparison.md
    python -m comparison --check    fail if the page says something else

The others come with `pip install --group peers`. Each is set up as its own documentation does at first; what its documentation
offers against a finding is tried as well, as a line of its own. `contenders` holds one file for each, `probes` the questions.
"""
