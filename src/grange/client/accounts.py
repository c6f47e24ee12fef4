"""Logging in, users, groups, tokens, audit."""

from __future__ import annotations

from collections.abc import Iterator

from grange.client.connection import Connection
from grange.client.paging import every, quoted
from grange.client.schemas.accounts import (
    AuditEntry,
    AuditVerdict,
    Group,
    GroupChange,
    Invited,
    LogIn,
    MadeToken,
    Me,
    NewGroup,
    NewToken,
    NewUser,
    PasswordChange,
    Session,
    SetUp,
    SetupState,
    Token,
    User,
    UserChange,
    Welcome,
)
from grange.client.schemas.basis import Page


class Accounts:
    """What the API says and does about people."""

    def __init__(self, connection: Connection) -> None:
        """Speak over this connection."""
        self._at = connection

    def show_setup(self) -> SetupState:
        """Whether the site waits for its first administrator."""
        return self._at.get(SetupState, "setup")

    def set_up(self, first: SetUp) -> Me:
        """Make the first administrator; the connection is logged in as them."""
        return self._logged_in(self._at.post(Me, "setup", first))

    def welcome_user(self, chosen: Welcome) -> Me:
        """Choose a password by a one-time key; the connection is logged in then."""
        return self._logged_in(self._at.post(Me, "welcome", chosen))

    def log_in(self, who: LogIn) -> Me:
        """Open a session; the connection goes on in its name."""
        return self._logged_in(self._at.post(Me, "session", who))

    def show_session(self) -> Me:
        """Who is asking, and what they may do."""
        return self._at.get(Me, "session")

    def log_out(self) -> None:
        """End the session."""
        self._at.send("DELETE", "session")
        self._at.csrf = None

    def list_sessions(self) -> Page[Session]:
        """One's own open sessions."""
        return self._at.get(Page[Session], "sessions")

    def end_session(self, session: str) -> None:
        """End one of one's own sessions."""
        self._at.send("DELETE", f"sessions/{quoted(session)}")

    def change_password(self, change: PasswordChange) -> None:
        """Choose a new password; the other sessions end."""
        self._at.send("POST", "password", body=change)

    def list_users(self, *, after: str | None = None, limit: int = 50, q: str = "") -> Page[User]:
        """A part of the users."""
        return self._at.get(Page[User], "users", {"after": after, "limit": limit, "q": q})

    def every_user(self, q: str = "") -> Iterator[User]:
        """All users, page by page."""
        return every(lambda after: self.list_users(after=after, limit=500, q=q))

    def invite_user(self, new: NewUser, *, key: str | None = None) -> Invited:
        """Make a user, who chooses a password by the link in the answer."""
        return self._at.post(Invited, "users", new, key=key)

    def show_user(self, user: str) -> User:
        """One user."""
        return self._at.get(User, f"users/{quoted(user)}")

    def change_user(self, user: str, change: UserChange) -> User:
        """Change a user; what is left out stays."""
        return self._at.patch(User, f"users/{quoted(user)}", change)

    def delete_user(self, user: str) -> None:
        """Delete a user."""
        self._at.send("DELETE", f"users/{quoted(user)}")

    def reset_password(self, user: str) -> Invited:
        """A one-time link with which the user chooses a new password."""
        return self._at.post(Invited, f"users/{quoted(user)}/reset")

    def list_groups(self) -> Page[Group]:
        """The groups."""
        return self._at.get(Page[Group], "groups")

    def make_group(self, new: NewGroup, *, key: str | None = None) -> Group:
        """Make a group without members."""
        return self._at.post(Group, "groups", new, key=key)

    def show_group(self, group: str) -> Group:
        """One group."""
        return self._at.get(Group, f"groups/{quoted(group)}")

    def rename_group(self, group: str, change: GroupChange) -> Group:
        """Give a group another name."""
        return self._at.patch(Group, f"groups/{quoted(group)}", change)

    def delete_group(self, group: str) -> None:
        """Delete a group; its members stay users."""
        self._at.send("DELETE", f"groups/{quoted(group)}")

    def add_member(self, group: str, user: str) -> None:
        """Put a user into a group."""
        self._at.send("PUT", f"groups/{quoted(group)}/members/{quoted(user)}")

    def remove_member(self, group: str, user: str) -> None:
        """Take a user out of a group."""
        self._at.send("DELETE", f"groups/{quoted(group)}/members/{quoted(user)}")

    def list_tokens(self, *, user: str | None = None) -> Page[Token]:
        """One's own tokens, or those of a user."""
        return self._at.get(Page[Token], "tokens", {"user": user})

    def make_token(self, new: NewToken) -> MadeToken:
        """Make a token; its text is in this answer alone."""
        return self._at.post(MadeToken, "tokens", new)

    def revoke_token(self, token: str) -> None:
        """End a token."""
        self._at.send("DELETE", f"tokens/{quoted(token)}")

    def list_audit(
        self, *, after: str | None = None, limit: int = 100, who: str = "", action: str = ""
    ) -> Page[AuditEntry]:
        """A part of the audit log, the newest first."""
        query = {"after": after, "limit": limit, "who": who, "action": action}
        return self._at.get(Page[AuditEntry], "audit", query)

    def verify_audit(self) -> AuditVerdict:
        """Check the audit log's chain."""
        return self._at.get(AuditVerdict, "audit/verdict")

    def _logged_in(self, me: Me) -> Me:
        self._at.csrf = me.csrf
        return me
