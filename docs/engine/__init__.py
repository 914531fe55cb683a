"""The pages of the site are run when it is built: nothing that they show is pasted."""
