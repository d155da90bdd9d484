"""The web server below the application. Nothing else touches aiohttp inside out."""
