"""RabbitMQ as an engine: what a driver and the machines that work for it say to each other."""
