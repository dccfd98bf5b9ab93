"""`dckt serve`: a page on this machine to search by a text or an image. Needs the extra `serve`."""
