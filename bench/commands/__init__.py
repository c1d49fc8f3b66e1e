"""The commands of the command line, by what they are for; `bench.commands.app` names them."""
