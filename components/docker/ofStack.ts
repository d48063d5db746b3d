/** What finds all that Docker has of a stack: containers, networks and volumes. @param id the stack's */
export function ofStack(id: string): { label: string[] } {
  return { label: [`bitnet-server.id=${id}`] };
}
