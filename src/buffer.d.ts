// Methods of Buffer that Node has always had and its types leave out: reading and writing latin1 without a look-up of the encoding's name.
interface Buffer {
  latin1Slice(start?: number, end?: number): string
  latin1Write(text: string, offset?: number, length?: number): number
}
