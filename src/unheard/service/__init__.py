"""The service: recordings in over HTTP, verdicts out; docs/service.md says how it answers.

`unheard.service.app.create_app` makes it of a `Scorer`; `unheard serve` runs it.
"""
