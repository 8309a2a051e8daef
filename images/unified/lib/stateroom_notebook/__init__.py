"""What the unified image adds to Jupyter Server.

start      how a server is started, quickly
deferred   modules that a start names, but does not use
server     the extension: what is done once the server answers
activity   a kernel that computes is use of the server
memory     a kernel that ran out of memory is told as such
spare      a Python kernel that has its imports behind it, kept for the next notebook
kernel     the spare's own side
"""
