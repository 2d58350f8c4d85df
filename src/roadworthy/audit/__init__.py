"""Find, in anyone's FastAPI code, the mistakes that Roadworthy exists to prevent.

It reads the code and never imports it. `roadworthy audit` is its command.
"""

__all__: list[str] = []
