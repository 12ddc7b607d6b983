"""How the program talks to AWS: clients, errors, and what is common to every adapter."""
