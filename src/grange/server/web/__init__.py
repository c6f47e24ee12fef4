"""The pages: server-rendered, live by small modules, usable without a mouse."""
