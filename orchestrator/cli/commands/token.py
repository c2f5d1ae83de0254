"""``token``: who may do what."""

from __future__ import annotations

import click

from orchestrator.cli import index, lazy, options, output, style

ROLES = ("submit", "operate", "facts", "policy", "audit", "steward", "admin")

token = lazy.LazyGroup(
    "token", index.TOKEN, help="Create, list and revoke tokens.\n\n\b\nExample:\n  comity token list"
)


@click.command(short_help="Make a token; it is shown once.")
@click.option("--tenant", metavar="T", help="Whose it is; default is your own.")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(ROLES), help="May be repeated.")
@click.option("--expires", metavar="WHEN", help="30d, or an RFC 3339 time.")
@click.option("--note", default="", help="What it is for.")
@options.output
@options.server
def create(
    tenant: str | None, roles: tuple[str, ...], expires: str | None, note: str, format: str, server: str | None
) -> None:
    """Make a token and print it once; only its hash is stored.

    \b
    Example:
      comity token create --tenant hospital --role submit --expires 30d
    """
    with options.connect(server) as client:
        made = client.create_token(tenant=tenant, roles=roles, note=note, expires=expires)
    if format in ("json", "yaml"):
        document = {"id": made.id, "token": made.secret, "tenant": made.tenant, "roles": list(made.roles)}
        output.show(document | {"expires": made.expires}, format)
        return
    if format == "name":
        click.echo(f"tokens/{made.id}")
        return
    click.echo(made.secret)
    style.note(f"id {made.id}, tenant {made.tenant}, roles {','.join(made.roles)}, expires {made.expires or 'never'}")
    style.note("it is not shown again; use it as COMITY_TOKEN")


@click.command("list", short_help="List tokens, without their secrets.")
@options.output
@options.server
def list_(format: str, server: str | None) -> None:
    """List tokens, without their secrets.

    \b
    Example:
      comity token list -o wide
    """
    with options.connect(server) as client:
        output.show_list("tokens", client.tokens().items, format)


@click.command(short_help="Revoke a token at once.")
@click.argument("id", metavar="ID")
@options.server
def revoke(id: str, server: str | None) -> None:
    """Revoke a token at once; twice is fine.

    \b
    Example:
      comity token revoke 01JD8Z3M
    """
    with options.connect(server) as client:
        client.revoke_token(id)
    click.echo(f"tokens/{id} revoked")
