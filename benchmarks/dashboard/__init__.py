"""The dashboard's picture: the page that the template holds, over a made-up afternoon."""
