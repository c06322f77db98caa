"""The router: spreads the requests of OpenAI's API over servers on this and other machines."""
