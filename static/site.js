const HERE = import.meta.url;

/** The URL of this server, without a final slash. A proxy may serve it under a path: nothing here begins at the host. */
export const SITE = HERE.slice(0, HERE.lastIndexOf("/static/"));
