"""The original HTTP contract, for chatbots without WebSockets.

POST /data/{customerId}/{dialogId}   `pushes`: one message, as JSON or as a form
POST /consents/{dialogId}            `consents`: the decision, in every form that chatbots have sent
GET  /data  and  /data/              `listing`: the stored messages, newest first, as a plain array

Messages are held in the memory of the process that receives them, until the decision. So all requests of a dialog must
reach the same process, and the routes refuse to run with several workers.
"""

from typing import Final

from . import consents, listing, pushes

ROUTES: Final = (*pushes.ROUTES, *consents.ROUTES, *listing.ROUTES)
