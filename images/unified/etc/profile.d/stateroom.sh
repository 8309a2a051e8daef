# Lab's terminals are login shells, and /etc/profile has just reset the path.
PATH=/opt/stateroom/bin:$PATH
