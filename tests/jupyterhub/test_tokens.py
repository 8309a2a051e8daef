"""Ours, in JupyterHub's fixtures: tokens of a start that its hub could not finish."""

from jupyterhub import orm


async def test_a_token_that_a_killed_hub_had_just_made_ends_with_the_server(user):
    await user.spawn()
    base_url = user.spawner.server.base_url
    user.new_api_token(note=f"Server at {base_url}")  # what the hub does before it calls `start`
    kept = user.new_api_token(note="The user's own")
    await user.stop()
    assert [token.note for token in user.api_tokens] == ["The user's own"]
    assert orm.APIToken.find(user.db, kept)
