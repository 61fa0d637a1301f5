"""The one HTTP client: whole pages or an error, limits on time and size, authentication, retries.

Import from its modules, so that a spec can be checked without aiohttp: `client.Client` asks, `page.PageReader` finds
the records in an answer.
"""
