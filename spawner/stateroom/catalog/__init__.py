"""What an admin offers: the models of the catalog file, and how it is read, checked and watched."""
