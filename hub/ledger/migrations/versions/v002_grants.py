"""Roles become grants (a role in an area); what a second factor and a password's age need; where a session is from.

Somebody who was "admin" becomes both system and security administrator of the whole house: nobody loses what they had,
and the two can be given to two people from then on.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "002"
down_revision = "001"

_NOW = {"admin": ["system_admin", "security_admin"]}


def upgrade() -> None:
    for table, key in (("person", "name"), ("token", "id")):
        op.add_column(table, sa.Column("grants", sa.JSON(), nullable=True))
        _to_grants(table, key)
        op.drop_column(table, "roles")
    op.add_column("person", sa.Column("password_set", sa.DateTime(timezone=True), nullable=True))
    op.add_column("person", sa.Column("must_change", sa.Boolean(), nullable=False, server_default=sa.false()))
    for column in ("second", "subject"):
        op.add_column("person", sa.Column(column, sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("person", sa.Column("second_step", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("person", sa.Column("recovery", sa.JSON(), nullable=True))
    for column in ("address", "agent", "way"):
        op.add_column("session", sa.Column(column, sa.Text(), nullable=False, server_default=sa.text("''")))


def _to_grants(table: str, key: str) -> None:
    connection = op.get_bind()
    rows = sa.table(table, sa.column(key), sa.column("roles", sa.JSON()), sa.column("grants", sa.JSON()))
    for row in connection.execute(sa.select(rows.c[key], rows.c.roles)).all():
        roles = json.loads(row[1]) if isinstance(row[1], str) else row[1]
        grants = [{"role": one, "area": ""} for role in roles for one in _NOW.get(role, [role])]
        connection.execute(sa.update(rows).where(rows.c[key] == row[0]).values(grants=grants))
